// A foreign agent: it claims a task, keeps its lease, and says that it is done.
//   MISSION_URL=http://127.0.0.1:4700 MISSION_KEY=mc_… node agent.ts NAME
const [name = 'counter', base = process.env['MISSION_URL'], key = process.env['MISSION_KEY']] =
  process.argv.slice(2);

async function call(path: string, body: object = {}) {
  const response = await fetch(`${base}/api/v1${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${answer.detail}`);
  return answer;
}

async function work({ instructions }: { instructions: string }) {
  return { words: instructions.split(/\s+/).length };
}

await call('/agents/register', { name });
for (;;) {
  const { items } = await call('/tasks/claim', { leaseSeconds: 30 });
  if (items.length === 0) break;
  const [{ task, leaseToken }] = items;
  // A heartbeat now and then keeps the lease; without one the task goes to another agent.
  const beat = () => call(`/tasks/${task.id}/heartbeat`, { leaseToken }).catch(console.error);
  const beating = setInterval(beat, 10_000);
  await beat();
  try {
    await call(`/tasks/${task.id}/complete`, { leaseToken, result: await work(task) });
    console.log(`done ${task.id}`);
  } finally {
    clearInterval(beating);
  }
}
