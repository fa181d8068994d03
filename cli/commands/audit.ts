import type { Command } from 'commander';
import { type ChainFault, chainHeadView, chainPlaceText, verifyView } from '../../contract/audit.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';

export function addAuditCommands(program: Command, run: Run): void {
  const audit = program.command('audit').description('proof that nothing of the log was changed or cut out');
  audit
    .command('head')
    .description("print the log's newest place, SEQUENCE:HASH, to be kept elsewhere")
    .action((_options: unknown, command: Command) => run(command, head));
  audit
    .command('verify')
    .description(
      'walk the whole hash chain, against the places that the server wrote down outside of the database',
    )
    .option('--anchor <sequence:hash>', 'and against one that you kept')
    .action((options: { anchor?: string }, command: Command) =>
      run(command, (context) => verify(context, options.anchor)),
    );
}

async function head({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const place = await client.get('/audit/head', chainHeadView, signal);
  terminal.out(json ? `${JSON.stringify(place)}\n` : `${place.anchor}\n`);
  return exitStatus.ok;
}

const progressMs = 1_000;

async function verify(context: CommandContext, anchor: string | undefined): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  if (anchor !== undefined && !chainPlaceText.safeParse(anchor).success) {
    throw new CommandError(
      exitStatus.usage,
      '--anchor takes SEQUENCE:HASH, as `mission audit head` prints it',
    );
  }
  let from: string | undefined;
  let told = performance.now();
  for (;;) {
    const query = new URLSearchParams({ limit: '10000', ...(from && { from }), ...(anchor && { anchor }) });
    const part = await client.get(`/audit/verify?${query}`, verifyView, signal);
    from = part.place;
    if (!part.ended) {
      if (performance.now() - told < progressMs) continue;
      told = performance.now();
      if (!json) terminal.err(`${part.sequence} of ${part.head} events\n`);
      continue;
    }
    const { fault, sequence, place, anchors } = part;
    if (json)
      terminal.out(`${JSON.stringify({ holds: fault === null, events: sequence, place, anchors, fault })}\n`);
    else if (fault === null) {
      terminal.out(
        `The log holds: ${sequence} events, none changed and none missing, as ${anchors} written places say too.\nIts newest place: ${place}\n`,
      );
    } else terminal.err(`${describe(fault)}\nUp to event ${sequence} the log holds.\n`);
    return fault === null ? exitStatus.ok : exitStatus.failed;
  }
}

function describe({ kind, sequence, until }: ChainFault): string {
  const events = sequence === until ? `event ${sequence}` : `events ${sequence} to ${until}`;
  switch (kind) {
    case 'changed':
      return `The log was changed: ${events} is not what was written.`;
    case 'removed':
      return `The log was changed: ${events} ${sequence === until ? 'is' : 'are'} missing.`;
    case 'rewritten':
      return `The log was rewritten: at ${events} it is not what was written down outside of the database.`;
    case 'cut':
      return `The log was cut: ${events} ${sequence === until ? 'is' : 'are'} missing at its end (or an older backup was restored).`;
  }
}
