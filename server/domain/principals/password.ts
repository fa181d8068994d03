import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '../../errors.ts';

const hash = promisify(argon2);
const cost = { memory: 65_536, passes: 2, parallelism: 1 };
const hashBytes = 32;
/** Each takes 64 MiB and one thread for a fifth of a second. */
const mostAtOnce = 2;
const mostWaiting = 20;

/** A password as a PHC string of Argon2id. @throws AppError rate_limited where too many are under way */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const tag = await compute(password, salt, cost);
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${encode(salt)}$${encode(tag)}`;
}

/**
 * Takes as long for no hash as for a wrong password, so that the time does not tell which names there are.
 * @throws AppError rate_limited where too many are under way
 */
export async function isPassword(password: string, phc: string | null): Promise<boolean> {
  const match = phc?.match(/^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/);
  if (!match) {
    await compute(password, Buffer.alloc(16), cost);
    return false;
  }
  const [, memory, passes, parallelism, salt = '', tag = ''] = match;
  const kept = Buffer.from(tag, 'base64');
  const found = await compute(password, Buffer.from(salt, 'base64'), {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
  });
  return found.length === kept.length && timingSafeEqual(found, kept);
}

let running = 0;
const waiting: (() => void)[] = [];

async function compute(password: string, salt: Buffer, parameters: typeof cost): Promise<Buffer> {
  if (running >= mostAtOnce) {
    if (waiting.length >= mostWaiting) {
      throw new AppError('rate_limited', 'Too many people log in at this moment. Try again in 5 s.', {
        detail: { retryAfterSeconds: 5 },
      });
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else {
    running += 1;
  }
  try {
    const message = Buffer.from(password.normalize('NFKC'));
    return await hash('argon2id', { message, nonce: salt, tagLength: hashBytes, ...parameters });
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

const encode = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
