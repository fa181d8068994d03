import { expect, test } from 'vitest';
import { highestUsage, type ModelRequest, withoutImages } from './model.ts';
import { buildPrompt } from './prompt.ts';

const image = { mediaType: 'image/png', base64: 'A'.repeat(100_000) };
const request: ModelRequest = {
  model: 'anthropic/x',
  system: 's',
  messages: [{ role: 'user', text: 'Look.', images: [image] }],
  tools: [],
  maxOutputTokens: 10,
};

test('an image goes to the provider before the text that speaks of it', () => {
  expect(buildPrompt(request).at(-1)).toEqual({
    role: 'user',
    content: [
      { type: 'file', mediaType: 'image/png', data: { type: 'data', data: image.base64 } },
      { type: 'text', text: 'Look.' },
    ],
  });
  expect(buildPrompt({ ...request, messages: withoutImages(request.messages) }).at(-1)).toEqual({
    role: 'user',
    content: [{ type: 'text', text: 'Look.' }],
  });
});

test('an image is reserved as an image, not by its bytes', () => {
  const without = highestUsage({ ...request, messages: withoutImages(request.messages) }).input;
  expect(highestUsage(request).input - without).toBe(10_000);
});
