import pg from 'pg';
import { AppError, messageOf } from '../errors.ts';

/**
 * True for PostgreSQL's 23505. Errors of constraints reach the caller as PostgreSQL sent them; this is how to
 * know the one that means "it is there already", and by the constraint's name which of several it was.
 */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return (
    error instanceof pg.DatabaseError &&
    error.code === '23505' &&
    (constraint === undefined || error.constraint === constraint)
  );
}

/** A deadlock or serialization failure, perhaps wrapped: the same transaction may succeed when run again. */
export function isWorthRepeating(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (cause instanceof pg.DatabaseError && (cause.code === '40001' || cause.code === '40P01')) return true;
  }
  return false;
}

/** A schema change made a prepared statement of this connection unusable; a new connection has none. */
export function isStalePlan(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '0A000' && /cached plan/.test(error.message);
}

export function isUnavailable(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'database_unavailable';
}

export function unavailable(error: unknown): AppError {
  const message = messageOf(error) || (error instanceof AggregateError ? messageOf(error.errors[0]) : '');
  return new AppError('database_unavailable', `the database cannot be used now: ${message}`, {
    cause: error,
  });
}

/** The error of a statement as callers are to see it: `database_unavailable` if the fault is not the statement's. */
export function translateError(error: unknown): unknown {
  if (error instanceof pg.DatabaseError) {
    return isServersFault(error.code ?? '') ? unavailable(error) : error;
  }
  if (!(error instanceof Error) || error instanceof AppError) return error;
  return 'syscall' in error || error instanceof AggregateError || driverFaults.test(error.message)
    ? unavailable(error)
    : error;
}

/**
 * 08 connection, 53 resources (disk full, too many connections), 57 intervention (shutting down, starting up,
 * a statement's time limit), 58 system; 25P03 and 25P04 end a connection that idled in a transaction.
 */
function isServersFault(code: string): boolean {
  return /^(08|53|57|58)/.test(code) || code === '25P03' || code === '25P04';
}

const driverFaults =
  /^(Connection terminated|timeout e|Query read timeout|Client (has encountered|was closed)|Cannot use a pool)/;
