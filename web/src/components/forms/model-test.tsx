import { useMutation } from '@tanstack/react-query';
import { testedModel } from '../../../../contract/models.ts';
import { useParts } from '../../api/parts.tsx';
import { span } from '../../text/format.ts';
import { Button } from '../ui/button.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { State } from '../ui/state-mark.tsx';

/** One short call to a model, and what came of it. */
export function ModelTest({ model }: { model: string }) {
  const { api } = useParts();
  const test = useMutation({ mutationFn: () => api.post('/models/test', { model }, testedModel) });
  return (
    <span className="inline-flex flex-wrap items-center gap-2.5">
      <Button busy={test.isPending} onClick={() => test.mutate()}>
        Test call
      </Button>
      <span role="status" className="min-w-0 text-sm">
        {test.data?.ok === true && (
          <State mark="ok">
            answered{test.data.milliseconds ? ` in ${span(test.data.milliseconds)}` : ''}
          </State>
        )}
        {test.data?.ok === false && <span className="break-words text-fail">{test.data.message}</span>}
      </span>
      <InlineFailure error={test.error} />
    </span>
  );
}
