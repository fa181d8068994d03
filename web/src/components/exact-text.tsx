import { exactParts } from '../../../contract/exact-text.ts';

/** Text to the character: what hides or turns text around is named in its place. Nothing is interpreted. */
export function ExactText({ text, wrap = true }: { text: string; wrap?: boolean }) {
  let offset = 0;
  return (
    <span className={wrap ? 'whitespace-pre-wrap [overflow-wrap:anywhere]' : 'whitespace-pre'} dir="ltr">
      {exactParts(text).map(({ text: part, hidden }) => {
        const key = offset;
        offset += part.length;
        return hidden === null ? (
          <span key={key}>{part}</span>
        ) : (
          <mark
            key={key}
            title={`an invisible character: ${hidden}`}
            className="mx-px rounded-sm bg-fail-soft px-0.5 text-[0.85em] font-semibold text-fail"
          >
            {hidden}
          </mark>
        );
      })}
    </span>
  );
}
