// biome-ignore lint/correctness/noUndeclaredDependencies: the one that the server's plugin brings
import { WebSocketServer } from 'ws';

/** The least that a broadcast can be: no log, no database, no filter; what its parent tells it goes to every socket. */
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('listening', () => process.send?.(server.address()));
process.on('message', (text: string) => {
  for (const client of server.clients) client.send(text);
});
