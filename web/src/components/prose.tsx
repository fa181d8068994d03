import { plainText } from '../text/plain-text.ts';

/** What a model or a person wrote, as text; only `code` between backticks is set apart. */
export function Prose({ text, className = '' }: { text: string; className?: string }) {
  return (
    <p className={`break-words whitespace-pre-wrap ${className}`}>
      <InlineProse text={text} />
    </p>
  );
}

export function InlineProse({ text }: { text: string }) {
  let offset = 0;
  return plainText(text)
    .trim()
    .split(/(`[^`\n]+`)/)
    .map((part) => {
      const key = offset;
      offset += part.length;
      if (!/^`[^`\n]+`$/.test(part)) return part;
      return (
        <code key={key} className="rounded bg-sunken px-1 font-mono text-[0.92em] [overflow-wrap:anywhere]">
          {part.slice(1, -1)}
        </code>
      );
    });
}
