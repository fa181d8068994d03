import { keepCompiledCode } from './config/compiled-code.ts';
import { AppError, messageOf } from './errors.ts';

/**
 * Starts the server and stops it, whole, at SIGTERM or SIGINT; a second signal ends it where it stands. A fault that
 * nobody caught stops it too, with a status of 1, so that what supervises it starts it anew: what has lost a part of
 * itself must not look as if it lived.
 */
async function main(): Promise<void> {
  const stop = Promise.withResolvers<void>();
  const faults = watchFaults(stop.resolve);
  let signals = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      signals += 1;
      if (signals > 1) process.exit(130);
      stop.resolve();
    });
  }
  keepCompiledCode(process.env);
  const [{ readConfig }, { startApp }] = [await import('./config.ts'), await import('./app.ts')];
  await using app = await startApp(readConfig(process.env, process.argv.slice(2)), process.env);
  faults.tell = app.tellFault;
  process.stdout.write(`Mission Control is ready${app.url === null ? '' : ` at ${app.url}`}\n`);
  if (app.loginUrl !== null) process.stdout.write(`Open the dashboard, once: ${app.loginUrl}\n`);
  await stop.promise;
}

const stopLimitMs = 30_000;
/** What tells of a fault may bring about the next one. */
const mostTold = 10;

function watchFaults(stop: () => void): { tell: (fault: Error) => void } {
  const faults = {
    tell: (fault: Error) => void process.stderr.write(`nobody caught this fault: ${fault.stack}\n`),
  };
  let count = 0;
  const take = (reason: unknown) => {
    count += 1;
    process.exitCode = 1;
    if (count === 1) setTimeout(() => process.exit(), stopLimitMs).unref();
    stop();
    if (count <= mostTold) faults.tell(reason instanceof Error ? reason : new Error(String(reason)));
  };
  process.on('uncaughtException', take);
  process.on('unhandledRejection', take);
  return faults;
}

try {
  await main();
  process.exitCode ??= 0;
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
