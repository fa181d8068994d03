import { useMutation } from '@tanstack/react-query';
import { type AskView, askView, type DecideAskBody } from '../../../../contract/asks.ts';
import { useParts } from '../../api/parts.tsx';
import { useToast } from '../ui/toasts.tsx';

export interface Decision {
  decision: DecideAskBody['decision'];
  answer?: string;
  /** The arguments that run instead of those that were asked for. */
  input?: Record<string, unknown>;
  /** How long the approval holds beyond this one call. */
  remember?: 'run' | 'rule';
}

const remembered = { run: ', for the rest of this run', rule: ', and kept as a rule' };
const said = { approve: 'Approved', deny: 'Denied', answer: 'Answered' };

/** Decides an ask about exactly the action that was shown: the decision carries its hash. */
export function useDecide(ask: AskView) {
  const { api, queries } = useParts();
  const toast = useToast();
  return useMutation({
    mutationFn: ({ decision, answer = '', input, remember }: Decision) =>
      api.post(
        `/asks/${ask.id}/decide`,
        {
          decision,
          answer,
          actionHash: ask.actionHash,
          ...(input === undefined ? {} : { input }),
          ...(remember === undefined ? {} : { remember }),
        },
        askView,
      ),
    onSuccess: (decided, { input, remember }) => {
      const edited = input === undefined ? '' : ', as you edited it';
      const kept = remember === undefined ? '' : remembered[remember];
      toast(`${said[decided.decision ?? 'answer']}${edited}${kept}.`);
      queries.setQueryData(['ask', ask.id], decided);
      void queries.invalidateQueries({ queryKey: ['status'] });
      void queries.invalidateQueries({ queryKey: ['asks'] });
    },
    onError: () => void queries.invalidateQueries({ queryKey: ['ask', ask.id] }),
  });
}
