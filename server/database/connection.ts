/** Where a PostgreSQL is and how to enter it. A `host` that begins with a slash is the folder of its socket. */
export interface Connection {
  host: string;
  port: number;
  user: string;
  database: string;
  password: string;
}

/** The same as a URL, as `DATABASE_URL` takes it. It holds the password: never for a log. */
export function connectionStringOf(connection: Connection): string {
  const { user, password, host, port, database } = connection;
  return `postgresql://${encode(user)}:${encode(password)}@${encode(host)}:${port}/${encode(database)}`;
}

const encode = encodeURIComponent;
