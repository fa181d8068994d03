import { useMutation } from '@tanstack/react-query';
import { Pause, Play, Square } from 'lucide-react';
import { useState } from 'react';
import { type RunView, runView } from '../../../../contract/runs.ts';
import { useParts } from '../../api/parts.tsx';
import { useCanAct } from '../../api/queries.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Kbd } from '../ui/kbd.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { useToast } from '../ui/toasts.tsx';
import { useHotkeys } from '../ui/use-hotkeys.ts';

type Verb = 'pause' | 'resume' | 'stop';
const said: Record<Verb, string> = {
  pause: 'It pauses before its next act.',
  resume: 'It goes on.',
  stop: 'It is being stopped.',
};

/** Pause, resume, stop. */
export function RunControls({ run }: { run: RunView }) {
  const { api, queries } = useParts();
  const toast = useToast();
  const canAct = useCanAct();
  const [asking, setAsking] = useState(false);
  const control = useMutation({
    mutationFn: (verb: Verb) => api.post(`/runs/${run.id}/${verb}`, undefined, runView),
    onSuccess: (changed, verb) => {
      queries.setQueryData(['run', run.id], changed);
      setAsking(false);
      toast(said[verb]);
    },
    onError: (error) => toast(error.message, 'fail'),
  });
  const isPaused = run.status === 'paused';
  useHotkeys({ p: () => control.mutate(isPaused ? 'resume' : 'pause') }, run.endedAt === null && canAct);
  if (run.endedAt !== null || !canAct) return null;
  return (
    <>
      <Button
        busy={control.isPending && control.variables !== 'stop'}
        onClick={() => control.mutate(isPaused ? 'resume' : 'pause')}
      >
        {isPaused ? <Play size={13} aria-hidden="true" /> : <Pause size={13} aria-hidden="true" />}
        {isPaused ? 'Resume' : 'Pause'} <Kbd>P</Kbd>
      </Button>
      <Button look="danger" onClick={() => setAsking(true)}>
        <Square size={12} aria-hidden="true" /> Stop
      </Button>
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Stop this run?"
        description={
          <p>
            It ends at once and delivers no change; its task is cancelled. What it has recorded stays to be
            read.
          </p>
        }
      >
        <div className="grid gap-3 p-4">
          <InlineFailure error={control.error} />
          <div className="flex justify-end gap-2">
            <Button look="ghost" onClick={() => setAsking(false)}>
              Cancel
            </Button>
            <Button look="danger" busy={control.isPending} onClick={() => control.mutate('stop')}>
              Stop the run
            </Button>
          </div>
        </div>
      </Dialog>
    </>
  );
}
