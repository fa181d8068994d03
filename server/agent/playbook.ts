/** A phase of a playbook: what the agent is told on entering, what it may call, and what lets it out. */
export interface Phase {
  name: string;
  instructions: string;
  tools: readonly string[];
}

export interface Playbook {
  name: string;
  phases: readonly Phase[];
  /** Where red checks and sent-back changes are worked on. */
  mendPhase: string;
}

const reading = [
  'read_file',
  'list_directory',
  'search',
  'git_status',
  'git_diff',
  'note',
  'ask_human',
  'finish_phase',
];
const working = [...reading, 'write_file', 'edit_file', 'run_command', 'git_commit'];

/** The overnight coder's phases. */
export const coderPlaybook: Playbook = {
  name: 'coder',
  mendPhase: 'implement',
  phases: [
    {
      name: 'analyse',
      tools: reading,
      instructions:
        'Work out what is asked: what must be true when it is done, what is out of scope, what is unclear. Look at as much of the repository as that takes. Finish the phase with a summary of the goal in your own words.',
    },
    {
      name: 'gather_context',
      tools: [...reading, 'run_command'],
      instructions:
        'Read the code that the task touches, its tests, and how the project is built and checked. Run the checks if that teaches you something. Finish the phase with what you found and where.',
    },
    {
      name: 'plan',
      tools: reading,
      instructions:
        'Decide what to change, file by file, and how you will know that it works, tests first. Choose the simplest change that does what is asked. Finish the phase with the plan.',
    },
    {
      name: 'implement',
      tools: working,
      instructions:
        'Carry out the plan. Write the tests that show the wanted behaviour, see them fail, make them pass, and run the whole of the checks. Keep to the style of the code around. Finish the phase when everything works.',
    },
    {
      name: 'review',
      tools: working,
      instructions:
        'Read your whole diff (git_diff) as a stranger would. Look for mistakes, leftovers, missing cases, and tests that cannot fail. Mend what you find and run the checks again. Finish the phase when you would accept this change.',
    },
    {
      name: 'finalise',
      tools: working,
      instructions:
        'Commit everything that belongs to the change with git_commit, leave nothing uncommitted, and finish the phase with a title and a description for the person who reviews it. The checks are then run on your commit in a clean workspace, under the tests and check files of the base.',
    },
  ],
};

const playbooks: Readonly<Record<string, Playbook>> = { coder: coderPlaybook };

export function findPlaybook(name: string): Playbook | undefined {
  return playbooks[name];
}
