/*
 * Runs inside the sandbox, by our own Node, as the command's parent: `node bridge.mts SOCKET PORT ARGV…`.
 * The sandbox has no network; this listens on its loopback and carries every connection to the proxy's socket.
 * It is a program of its own, so it acts when it is loaded.
 */
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { constants } from 'node:os';

const [socketPath = '', port = '', program = '', ...argv] = process.argv.slice(2);

const server = createServer({ allowHalfOpen: true }, (client) => {
  const proxy = connect({ path: socketPath, allowHalfOpen: true });
  client.pipe(proxy).pipe(client);
  client.on('error', () => proxy.destroy());
  proxy.on('error', () => client.destroy());
});

server.listen(Number(port), '127.0.0.1', () => {
  const child = spawn(program, argv, { stdio: 'inherit' });
  child.on('error', (error) => {
    console.error(error.message);
    process.exit('code' in error && error.code === 'ENOENT' ? 127 : 126);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)));
});
