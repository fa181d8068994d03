import type { CloudEvent, EventType } from '../../../contract/events.ts';
import type { NotificationTopic } from '../../../contract/notifications.ts';

/** What is sent, before it is written for one kind of receiver. The words of agents in it are data. */
export interface NotificationMessage {
  topic: NotificationTopic;
  title: string;
  text: string;
  /** Opens what it is about; null where the server's public address is not known. */
  link: string | null;
  event: CloudEvent;
}

const topics: Partial<Record<EventType, NotificationTopic>> = {
  'ask.opened': 'needed',
  'disk.full': 'needed',
  'webhook.disabled': 'needed',
  'egress.secret_stopped': 'needed',
  'task.completed': 'ended',
  'task.failed': 'ended',
  'task.cancelled': 'ended',
  'change.ready': 'ended',
  'budget.near': 'budget',
  'budget.overspent': 'budget',
  'budget.exhausted': 'budget',
  'agent.surprised': 'needed',
  'run.overdue': 'overdue',
  'task.overdue': 'overdue',
  'ask.expired': 'overdue',
};

/** What an event is told as; undefined for those that nobody is told of. */
export function topicOf(type: EventType): NotificationTopic | undefined {
  return topics[type];
}

/** @param publicUrl without a slash at its end */
export function writeMessage(
  event: CloudEvent,
  topic: NotificationTopic,
  context: { taskTitle: string | null; publicUrl: string | null },
): NotificationMessage {
  const { publicUrl } = context;
  const link = publicUrl === null ? null : `${publicUrl}${pathOf(event)}`;
  const task = context.taskTitle === null ? '' : shorten(context.taskTitle, 120);
  const { title, text } = wordsOf(event, task);
  return { topic, title: shorten(title.replace(/\s+/g, ' '), 200), text: shorten(text, 1_000), link, event };
}

function wordsOf({ type, data }: CloudEvent, task: string): { title: string; text: string } {
  const of = (key: string) => (typeof data[key] === 'string' ? data[key] : '');
  const about = task === '' ? 'Mission Control' : task;
  switch (type) {
    case 'ask.opened':
      return { title: `Needed: ${about}`, text: of('question') };
    case 'disk.full':
      return { title: 'Needed: the disk is full', text: `Runs wait until there is room at ${of('home')}.` };
    case 'egress.secret_stopped':
      return {
        title: `A secret was kept from leaving: ${about}`,
        text: `${of('secret')}, in a request to ${of('host')}. Look at the run, and stop it if you do not know why.`,
      };
    case 'webhook.disabled':
      return {
        title: `Needed: a webhook to ${of('host')} was disabled`,
        text: `${of('description')}\n${of('reason')}`.trim(),
      };
    case 'ask.expired':
      return {
        title: `Nobody decided: ${about}`,
        text: `The ask reached its deadline; its default holds: ${of('decision')}.`,
      };
    case 'change.ready':
      return { title: `Ready for review: ${about}`, text: of('title') };
    case 'task.completed':
      return { title: `Completed: ${about}`, text: of('reason') };
    case 'task.failed':
      return { title: `Failed: ${about}`, text: of('reason') };
    case 'task.cancelled':
      return { title: `Cancelled: ${about}`, text: of('reason') };
    case 'budget.near':
      return { title: `Budget near its limit: ${about}`, text: of('explanation') };
    case 'budget.exhausted':
      return { title: `Budget spent: ${about}`, text: of('explanation') };
    case 'agent.surprised':
      return { title: `Out of the ordinary: ${about}`, text: of('reason') };
    case 'budget.overspent':
      return { title: `A call cost more than was reserved: ${about}`, text: '' };
    default: {
      const waiting = data['waiting'];
      const reason =
        typeof waiting === 'object' && waiting !== null && 'reason' in waiting ? waiting.reason : '';
      return { title: `Still waiting: ${about}`, text: String(reason) };
    }
  }
}

function pathOf({ subject, taskid, runid }: CloudEvent): string {
  const [kind, id = ''] = subject.split('/');
  if (kind === 'ask') return `/asks/${id}`;
  if (kind === 'change') return `/changes/${id}`;
  if (taskid !== undefined) return `/tasks/${taskid}`;
  return runid === undefined ? '/' : `/runs/${runid}`;
}

/** On one line or more, without what moves a terminal's cursor or reorders text. */
function shorten(text: string, length: number): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}]/gu, (found) => (found === '\n' ? found : ' ')).trim();
  return plain.length <= length ? plain : `${plain.slice(0, length - 1)}…`;
}
