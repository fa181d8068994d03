import { Dialog } from '../ui/dialog.tsx';
import { modifierKey } from '../ui/kbd.tsx';

const groups: { title: string; keys: [string, string][] }[] = [
  {
    title: 'Everywhere',
    keys: [
      ['mod K', 'Search or do anything'],
      ['C', 'New task'],
      ['G N', 'Now'],
      ['G A', 'Asks'],
      ['G T', 'Tasks'],
      ['G C', 'Changes'],
      ['G S', 'Settings'],
      ['?', 'This help'],
    ],
  },
  {
    title: 'What needs you',
    keys: [
      ['J  K', 'Next, previous'],
      ['Enter', 'Open'],
      ['A', 'Approve'],
      ['L', 'Approve for the run, or as a rule'],
      ['E', 'Edit, then approve'],
      ['D', 'Deny with a reason'],
    ],
  },
  {
    title: 'A run',
    keys: [
      ['J  K', 'Next, previous step'],
      ['P', 'Pause or resume'],
      ['I', 'Write guidance'],
      ['Esc', 'Close the details'],
    ],
  },
];

export function ShortcutsHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keys">
      <div className="grid max-h-[70vh] gap-4 overflow-auto px-4 pt-1 pb-5">
        {groups.map(({ title, keys }) => (
          <section key={title}>
            <h3 className="mb-1 text-sm font-medium text-ink-3">{title}</h3>
            <dl className="grid grid-cols-[110px_1fr] gap-y-1">
              {keys.map(([key, what]) => (
                <div key={key} className="contents">
                  <dt>
                    <kbd className="rounded border border-b-2 border-line-control px-1.5 font-mono text-xs">
                      {key.replace('mod ', modifierKey())}
                    </kbd>
                  </dt>
                  <dd className="text-ink-2">{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
