import { connect, type Socket } from 'node:net';

/*
 * A process of its own that holds many WebSockets and reads them at the lowest cost that is still honest: every
 * frame is taken apart, its number must follow the one before, and its age is taken when it arrives. Told what to
 * do by messages of its parent.
 */

export interface Order {
  kind: 'open' | 'report';
  url?: string;
  key?: string;
  count?: number;
  /** Of the events, in the order of the sockets' opening: which group to report. */
  group: string;
}

export interface Report {
  group: string;
  received: number;
  /** Numbers that were skipped or came twice. */
  lost: number;
  closed: number;
  /** Milliseconds from the event's making to its arrival. */
  ages: number[];
}

interface Group {
  received: number;
  lost: number;
  closed: number;
  ages: number[];
}

const groups = new Map<string, Group>();
const opening = 50;
const now = () => performance.timeOrigin + performance.now();

process.on('message', (order: Order) => {
  void follow(order).then((answer) => process.send?.(answer));
});

async function follow(order: Order): Promise<Report> {
  const group = groups.get(order.group) ?? { received: 0, lost: 0, closed: 0, ages: [] };
  groups.set(order.group, group);
  if (order.kind === 'open') {
    for (let left = order.count ?? 0; left > 0; left -= opening) {
      await Promise.all(Array.from({ length: Math.min(opening, left) }, () => open(order, group)));
    }
  }
  const report = { group: order.group, ...group };
  groups.set(order.group, Object.assign(group, { received: 0, lost: 0, ages: [] }));
  return report;
}

function open({ url = '', key = '' }: Order, group: Group): Promise<void> {
  const { hostname, port, pathname, search } = new URL(url);
  const opened = Promise.withResolvers<void>();
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  socket.write(
    `GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nAuthorization: Bearer ${key}\r\n\r\n`,
  );
  socket.on('error', opened.reject);
  socket.on('close', () => {
    group.closed += 1;
  });
  readFrames(socket, opened.resolve, opened.reject, countInto(group));
  return opened.promise;
}

function countInto(group: Group): (payload: Buffer) => void {
  let last = 0;
  return (payload) => {
    const text = payload.toString('latin1');
    const at = /"at":([\d.]+)/.exec(text)?.[1];
    if (at === undefined) return;
    const sequence = Number(/"sequence":(\d+)/.exec(text)?.[1]);
    group.ages.push(now() - Number(at));
    group.received += 1;
    if (last > 0 && sequence !== last + 1) group.lost += 1;
    last = sequence;
  };
}

function readFrames(
  socket: Socket,
  onOpen: () => void,
  onRefused: (error: Error) => void,
  onFrame: (payload: Buffer) => void,
): void {
  let rest: Buffer = Buffer.alloc(0);
  let isOpen = false;
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (!isOpen) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      const status = rest.toString('latin1', 0, 12);
      if (!status.endsWith('101')) return onRefused(new Error(`refused: ${rest.toString('latin1', 0, 600)}`));
      isOpen = true;
      rest = rest.subarray(end + 4);
      onOpen();
    }
    for (;;) {
      if (rest.length < 2) return;
      const short = (rest[1] ?? 0) & 0x7f;
      const header = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (rest.length < header) return;
      const length =
        short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
      if (rest.length < header + length) return;
      onFrame(rest.subarray(header, header + length));
      rest = rest.subarray(header + length);
    }
  });
}
