import { useEffect, useRef } from 'react';
import type { AskView } from '../../../../contract/asks.ts';
import { ruleWords } from '../../../../contract/policies.ts';
import { useSession } from '../../api/queries.ts';
import { Button } from '../ui/button.tsx';
import type { Decision } from './use-decide.ts';

interface RememberFormProps {
  offer: NonNullable<AskView['offer']>;
  busy: boolean;
  onDecide: (decision: Decision) => void;
  onCancel: () => void;
}

/** An approval that outlasts the call, with the exact rule that it becomes. */
export function RememberForm({ offer, busy, onDecide, onCancel }: RememberFormProps) {
  const first = useRef<HTMLDivElement>(null);
  useEffect(() => first.current?.querySelector('button')?.focus(), []);
  const mayRule = useSession().data?.principal.role === 'admin';
  const { agent, project } = offer.scope;
  return (
    <fieldset
      className="grid gap-2.5 rounded-md border border-line bg-sunken px-3 py-2.5 text-sm"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        onCancel();
      }}
    >
      <legend className="sr-only">Approve for longer than once</legend>
      <p className="text-ink-2">
        Only this very call is let through without an ask, to the last character; another argument asks again.
      </p>
      <pre className="overflow-auto rounded bg-panel px-2.5 py-2 whitespace-pre-wrap [overflow-wrap:anywhere]">
        <code>{ruleWords(offer.rule)}</code>
      </pre>
      <div ref={first} className="flex flex-wrap gap-1.5">
        <Button look="primary" busy={busy} onClick={() => onDecide({ decision: 'approve', remember: 'run' })}>
          For the rest of this run
        </Button>
        <Button
          disabled={busy || !mayRule}
          onClick={() => onDecide({ decision: 'approve', remember: 'rule' })}
        >
          As a rule
        </Button>
        <Button look="ghost" onClick={onCancel}>
          Cancel
        </Button>
      </div>
      <p className="text-ink-3">
        As a rule it holds from now on for the agent {agent ?? 'of this run'}
        {project === undefined ? '' : ' in this project'}; only an admin can make it, or remove it again.
      </p>
    </fieldset>
  );
}
