import { useEffect, useRef, useState } from 'react';
import type { RunTranscript } from '../../api/run-transcript.ts';
import { plainText } from '../../text/plain-text.ts';

/** Tells a screen reader of finished turns, failures and asks: never of single tokens. */
export function TurnAnnouncer({ transcript }: { transcript: RunTranscript }) {
  const [said, setSaid] = useState('');
  const told = useRef<number | null>(null);
  const newest = transcript.count;
  const step = lastFinished(transcript, newest);
  const seq = step?.seq ?? 0;
  useEffect(() => {
    if (step === undefined || told.current === seq) return;
    const isFirst = told.current === null;
    told.current = seq;
    if (isFirst) return;
    if (step.kind === 'model' && step.result !== null && step.result.text !== '')
      setSaid(plainText(step.result.text).slice(0, 400));
    else if (step.status === 'failed') setSaid(`${step.name} failed: ${step.error?.class ?? 'red'}`);
    else if (step.kind === 'ask') setSaid(`The agent asks: ${step.intent.question}`);
    else if (step.kind === 'phase') setSaid(`Phase ${step.name.replaceAll('_', ' ')}`);
  }, [step, seq]);
  return <output className="sr-only">{said}</output>;
}

function lastFinished(transcript: RunTranscript, newest: number) {
  for (let seq = newest; seq > Math.max(0, newest - 5); seq--) {
    const step = transcript.step(seq);
    if (step !== undefined && (step.status !== 'intended' || step.kind === 'ask')) return step;
  }
  return undefined;
}
