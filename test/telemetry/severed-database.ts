import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Connection, connectionStringOf } from '../../server/database/connection.ts';

/** Stands between a server and its database, and can cut them off from one another. */
export interface SeveredDatabase extends AsyncDisposable {
  /** For the server, instead of the database's own. */
  readonly connectionString: string;
  cut(): void;
}

export async function standBetween(connection: Connection): Promise<SeveredDatabase> {
  const { host, port } = connection;
  const upstream = () => (host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host));
  const open = new Set<Socket>();
  let severed = false;
  const server = createServer((socket) => {
    if (severed) return void socket.destroy();
    const other = upstream();
    for (const [from, to] of [
      [socket, other],
      [other, socket],
    ] as const) {
      open.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    severed = true;
    for (const socket of open) socket.destroy();
  };
  const address = server.address() as AddressInfo;
  return {
    connectionString: connectionStringOf({ ...connection, host: '127.0.0.1', port: address.port }),
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
