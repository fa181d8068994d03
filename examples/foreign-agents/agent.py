# A foreign agent: it claims a task, keeps its lease, and says that it is done.
#   MISSION_URL=http://127.0.0.1:4700 MISSION_KEY=mc_… python3 agent.py NAME
import json, os, sys, threading, urllib.request

name = sys.argv[1] if len(sys.argv) > 1 else "counter"
base, key = os.environ["MISSION_URL"], os.environ["MISSION_KEY"]


def call(path, body={}):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{base}/api/v1{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def work(task):
    return {"words": len(task["instructions"].split())}


def keep_lease(task, token, done):
    # A heartbeat now and then keeps the lease; without one the task goes to another agent.
    while True:
        call(f"/tasks/{task['id']}/heartbeat", {"leaseToken": token})
        if done.wait(10):
            return


call("/agents/register", {"name": name})
while items := call("/tasks/claim", {"leaseSeconds": 30})["items"]:
    task, token, done = items[0]["task"], items[0]["leaseToken"], threading.Event()
    beating = threading.Thread(target=keep_lease, args=(task, token, done), daemon=True)
    beating.start()
    result = work(task)
    done.set()
    beating.join()
    call(f"/tasks/{task['id']}/complete", {"leaseToken": token, "result": result})
    print("done", task["id"])
