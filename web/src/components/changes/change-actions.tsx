import { useMutation } from '@tanstack/react-query';
import { GitMerge, Undo2 } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { ChangeView } from '../../../../contract/changes.ts';
import { useParts } from '../../api/parts.tsx';
import { useCanAct, useRuns } from '../../api/queries.ts';
import { changeAndRun } from '../../api/schemas.ts';
import { plural } from '../../text/format.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { TextArea } from '../ui/field.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { useToast } from '../ui/toasts.tsx';

type Verb = 'merge' | 'send-back' | 'revert';

const said: Record<Verb, string> = {
  merge: 'The merge has begun.',
  'send-back': 'Sent back; the agent begins with your comments.',
  revert: 'The revert has begun.',
};

/** Merge, send back with comments, or revert a merge: each says first what it does. */
export function ChangeActions({ change }: { change: ChangeView }) {
  const { api, queries } = useParts();
  const toast = useToast();
  const canAct = useCanAct();
  const [asking, setAsking] = useState<Verb | null>(null);
  const [comments, setComments] = useState('');
  const runs = useRuns(change.taskId);
  const isMoving = runs.data?.some(
    (run) => run.changeId === change.id && run.kind !== 'task' && run.endedAt === null,
  );
  const act = useMutation({
    mutationFn: (verb: Verb) =>
      api.post(
        `/changes/${change.id}/${verb}`,
        verb === 'send-back' ? { comments: comments.trim() } : undefined,
        changeAndRun,
      ),
    onSuccess: (answer, verb) => {
      queries.setQueryData(['change', change.id], answer.change);
      void queries.invalidateQueries({ queryKey: ['runs'] });
      void queries.invalidateQueries({ queryKey: ['status'] });
      setAsking(null);
      setComments('');
      toast(said[verb]);
    },
  });
  const close = () => {
    setAsking(null);
    act.reset();
  };
  if (!canAct) return null;
  const isReady = change.status === 'ready';
  return (
    <>
      {isReady && (
        <>
          <Button disabled={isMoving} onClick={() => setAsking('send-back')}>
            Send back
          </Button>
          <Button look="primary" disabled={isMoving} onClick={() => setAsking('merge')}>
            <GitMerge size={14} aria-hidden="true" /> {isMoving ? 'Merging…' : 'Merge'}
          </Button>
        </>
      )}
      {change.status === 'merged' && (
        <Button disabled={isMoving} onClick={() => setAsking('revert')}>
          <Undo2 size={14} aria-hidden="true" /> {isMoving ? 'Reverting…' : 'Revert'}
        </Button>
      )}
      <Dialog
        open={asking === 'merge'}
        onClose={close}
        title={`Merge into ${change.targetBranch}?`}
        description={<MergeNote change={change} />}
      >
        <Confirm error={act.error} onCancel={close}>
          <Button look="primary" busy={act.isPending} onClick={() => act.mutate('merge')}>
            Merge
          </Button>
        </Confirm>
      </Dialog>
      <Dialog
        open={asking === 'revert'}
        onClose={close}
        title="Revert the merge?"
        description={
          <p>
            A commit that takes the change out again goes onto {change.targetBranch}, after the checks have
            passed on it.
          </p>
        }
      >
        <Confirm error={act.error} onCancel={close}>
          <Button look="danger" busy={act.isPending} onClick={() => act.mutate('revert')}>
            Revert
          </Button>
        </Confirm>
      </Dialog>
      <Dialog open={asking === 'send-back'} onClose={close} title="Send back">
        <form
          className="grid gap-3 px-4 pt-2 pb-4"
          onSubmit={(event) => {
            event.preventDefault();
            act.mutate('send-back');
          }}
        >
          <TextArea
            label="What must become different?"
            hint="The agent starts from this change and reads your words first."
            required
            rows={5}
            maxLength={20_000}
            value={comments}
            onChange={(event) => setComments(event.target.value)}
          />
          <InlineFailure error={act.error} />
          <div className="flex justify-end gap-2">
            <Button look="ghost" onClick={close}>
              Cancel
            </Button>
            <Button look="primary" type="submit" busy={act.isPending} disabled={comments.trim() === ''}>
              Send back
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}

function MergeNote({ change }: { change: ChangeView }) {
  const { pinnedChanges, verdict } = change.receipt;
  return (
    <div className="grid gap-2">
      <p>
        {change.targetBranch} moves to this change. Where the branch has moved on since, the merge is made and
        checked first.
      </p>
      {pinnedChanges.length > 0 && (
        <p className="text-wait">
          It changes {plural(pinnedChanges.length, 'file')} that judge it:{' '}
          {pinnedChanges.map((one) => one.path).join(', ')}.
        </p>
      )}
      {verdict !== 'passed' && <p className="text-wait">Its checks have not passed.</p>}
    </div>
  );
}

function Confirm(props: { error: unknown; onCancel: () => void; children: ReactNode }) {
  return (
    <div className="grid gap-3 p-4">
      <InlineFailure error={props.error} />
      <div className="flex justify-end gap-2">
        <Button look="ghost" onClick={props.onCancel}>
          Cancel
        </Button>
        {props.children}
      </div>
    </div>
  );
}
