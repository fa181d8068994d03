import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { useParts } from './parts.tsx';
import { RunTranscript } from './run-transcript.ts';

/** The live transcript of a run; `steps` is how many the server has counted. */
export function useTranscript(runId: string, steps: number | undefined): RunTranscript {
  const { api, socket } = useParts();
  const transcript = useMemo(() => new RunTranscript(api, runId), [api, runId]);
  useSyncExternalStore(transcript.watch, transcript.version);
  useEffect(
    () =>
      socket.listen({
        event: (event) => transcript.receive(event),
        live: (live) => transcript.receiveLive(live),
        hello: () => transcript.reread(),
      }),
    [socket, transcript],
  );
  useEffect(() => {
    if (steps === undefined) return;
    transcript.setCount(steps);
    transcript.ensure(Math.max(1, steps - 60), Math.max(1, steps));
    transcript.ensure(1, 1);
  }, [transcript, steps]);
  return transcript;
}
