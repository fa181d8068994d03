import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import { AppError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';

export interface CertificateFiles {
  certificate: string;
  key: string;
}

const lookMs = 2_000;

/** The certificate of TLS, read again when its files change or at SIGHUP; a bad new one leaves the old in use. */
export class Certificate implements Disposable {
  readonly #files: CertificateFiles;
  readonly #log: Logger;
  readonly #servers = new Set<Server>();
  readonly #reload = () => this.#read();
  #pair: { cert: Buffer; key: Buffer };

  /** @throws AppError invalid_request naming the file that cannot be used */
  constructor(files: CertificateFiles, log: Logger) {
    this.#files = files;
    this.#log = log;
    this.#pair = readPair(files);
    for (const file of [files.certificate, files.key]) watchFile(file, { interval: lookMs }, this.#reload);
    process.on('SIGHUP', this.#reload);
  }

  serve(listener: RequestListener): Server {
    const server = createServer({ ...this.#pair, minVersion: 'TLSv1.2' }, listener);
    this.#servers.add(server);
    return server;
  }

  [Symbol.dispose](): void {
    process.off('SIGHUP', this.#reload);
    for (const file of [this.#files.certificate, this.#files.key]) unwatchFile(file, this.#reload);
  }

  #read(): void {
    try {
      const pair = readPair(this.#files);
      if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return;
      this.#pair = pair;
      for (const server of this.#servers) server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
      this.#log.info('the certificate was read anew');
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'the new certificate cannot be used; the old one stays');
    }
  }
}

function readPair({ certificate, key }: CertificateFiles): { cert: Buffer; key: Buffer } {
  const pair = { cert: readPem('MISSION_TLS_CERT', certificate), key: readPem('MISSION_TLS_KEY', key) };
  try {
    createSecureContext(pair);
    return pair;
  } catch (error) {
    throw new AppError(
      'invalid_request',
      `MISSION_TLS_CERT (${certificate}) and MISSION_TLS_KEY (${key}) cannot be used together: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function readPem(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new AppError('invalid_request', `${setting} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
