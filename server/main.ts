import { startApp } from './app.ts';
import { readConfig } from './config.ts';
import { AppError, messageOf } from './errors.ts';

/** Starts the server and stops it, whole, at SIGTERM or SIGINT; a second signal ends it where it stands. */
async function main(): Promise<void> {
  const stop = Promise.withResolvers<void>();
  let signals = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      signals += 1;
      if (signals > 1) process.exit(130);
      stop.resolve();
    });
  }
  process.on('unhandledRejection', (reason) => {
    process.stderr.write(
      `a promise without an owner failed: ${reason instanceof Error ? reason.stack : String(reason)}\n`,
    );
  });
  await using app = await startApp(readConfig(process.env, process.argv.slice(2)), process.env);
  process.stdout.write(`Mission Control is ready${app.url === null ? '' : ` at ${app.url}`}\n`);
  if (app.loginUrl !== null) process.stdout.write(`Open the dashboard, once: ${app.loginUrl}\n`);
  await stop.promise;
}

try {
  await main();
  process.exitCode = 0;
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
