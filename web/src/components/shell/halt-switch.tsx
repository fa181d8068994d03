import { useMutation } from '@tanstack/react-query';
import { OctagonX } from 'lucide-react';
import { useState } from 'react';
import { haltView } from '../../../../contract/system.ts';
import { useParts } from '../../api/parts.tsx';
import { useStatus } from '../../api/queries.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { TextField } from '../ui/field.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { useToast } from '../ui/toasts.tsx';

export function useHalt() {
  const { api, queries } = useParts();
  const toast = useToast();
  const refresh = () => void queries.invalidateQueries();
  const stop = useMutation({
    mutationFn: (reason: string) => api.post('/halt', reason === '' ? {} : { reason }, haltView),
    onSuccess: () => {
      toast('Everything is stopped. Nothing starts until somebody releases it.');
      refresh();
    },
  });
  const release = useMutation({
    mutationFn: () => api.send('DELETE', '/halt', undefined, haltView),
    onSuccess: () => {
      toast('Released: every run is what it was before.');
      refresh();
    },
  });
  return { stop, release };
}

/** The one switch that halts every run; it asks once. */
export function HaltDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { stop } = useHalt();
  const status = useStatus();
  const [reason, setReason] = useState('');
  const working = status.data?.runs.filter((run) => run.lease !== null).length ?? 0;
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Stop everything?"
      description={
        <p>
          {working === 0
            ? 'No run is working now.'
            : `${working === 1 ? 'One run is' : `${working} runs are`} halted within a second.`}{' '}
          None starts until it is released. Nothing is lost: each goes on where it stood.
        </p>
      }
    >
      <form
        className="grid gap-3 p-4"
        onSubmit={(event) => {
          event.preventDefault();
          stop.mutate(reason.trim(), { onSuccess: onClose });
        }}
      >
        <TextField
          label="Reason"
          hint="Optional; everybody who looks sees it."
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        <InlineFailure error={stop.error} />
        <div className="flex justify-end gap-2">
          <Button look="ghost" onClick={onClose}>
            Cancel
          </Button>
          <Button look="danger" type="submit" busy={stop.isPending}>
            <OctagonX size={14} aria-hidden="true" /> Stop everything
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
