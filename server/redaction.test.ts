import { expect, test } from 'vitest';
import { Redactor } from './redaction.ts';

test('known secrets are blotted out in every spelling that programs print', () => {
  const redactor = new Redactor();
  const value = 'pa55"w/rd+$(x)';
  expect(redactor.redact(value)).toBe(value);
  redactor.know([
    { name: 'a', value },
    { name: 'short', value: 'abc' },
  ]);
  for (const text of [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    Buffer.from(value).toString('hex').toUpperCase(),
    Buffer.from(value).toString('base64'),
  ])
    expect(redactor.redact(`before ${text} after`)).not.toContain(text);
  for (const user of ['x', 'xy', 'xyz', 'user:'])
    expect(redactor.redact(Buffer.from(`${user}${value}`).toString('base64'))).toContain('[secret]');
  expect(redactor.redact('abc stays, as does pa55')).toBe('abc stays, as does pa55');
  redactor.know([]);
  expect(redactor.redact(value)).toBe(value);
});
