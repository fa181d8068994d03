import { describe, expect, test } from 'vitest';
import { judge, type PolicyRule } from '../../server/tools/policy/judge.ts';

/** Harmless programs by their names, as people write such rules; three programs never. */
const rules: PolicyRule[] = [
  ...'awk|cat|cd|echo|env|fd|find|git diff|git clone|git fetch|git log|git status|go test|jq|ls|nice|npm test|rg|sed|sort|tar|timeout|true|vim|xargs|make|python3'
    .split('|')
    .map((program): PolicyRule => ({ effect: 'allow', tool: 'run_command', pattern: `${program}*` })),
  ...'rm|git push|curl'
    .split('|')
    .map((program): PolicyRule => ({ effect: 'deny', tool: 'run_command', pattern: `${program}*` })),
];
const decide = (subject: string) =>
  judge(rules, { tool: 'run_command', subject, effect: 'workspace', input: { command: subject } });

/** An attack, what must come of it, and the like of it that still works. */
type Case = [attack: string, decision: 'deny' | 'ask', twin: string];

function hold(cases: Case[]) {
  test.each(cases)('%s', (attack, decision, twin) => {
    expect([attack, decide(attack).decision]).toEqual([attack, decision]);
    expect([twin, decide(twin).decision, decide(twin).reason]).toEqual([twin, 'allow', expect.any(String)]);
  });
}

describe('21: every segment is judged', () => {
  hold([
    ['ls && rm -rf .', 'deny', 'ls && git status'],
    ['ls; rm -rf .', 'deny', 'ls; git log -3'],
    ['ls | xargs rm', 'deny', 'ls | sort -r'],
    ['echo $(rm x)', 'deny', 'echo done'],
    ['echo `rm x`', 'deny', "echo 'rm x'"],
    ['cat <(rm x)', 'deny', 'cat x'],
    [`echo "\${x:-$(rm y)}"`, 'deny', 'echo "x:-y"'],
    ['echo $((1+$(rm y)))', 'deny', 'echo 1+1'],
    [`who\${IFS}-a`, 'ask', 'ls -a'],
    [`rm\${IFS}-rf\${IFS}.`, 'deny', 'ls -b'],
    ['{rm,-rf,.}', 'ask', 'echo rm'],
    ['r\\m x', 'deny', 'ls r'],
    ["$'\\x72m' x", 'deny', "echo '$x72m'"],
    ['ls\nrm x', 'deny', 'ls\nls'],
    ['cat <<E\n$(rm x)\nE', 'deny', "cat <<'E'\n$(rm x)\nE"],
    ["x='a[$(rm y)]'; echo $((x))", 'ask', 'true && true'],
    ['ls & rm x', 'deny', 'ls & true'],
    ['f() { rm x; }; f', 'deny', 'cd src && ls'],
    ['make; whoami', 'ask', 'make; ls'],
  ]);
});

describe('22: the program behind a wrapper is judged', () => {
  hold([
    ['env rm x', 'deny', 'env ls'],
    ['env -i A=1 rm x', 'deny', 'env -i A=1 ls'],
    ['timeout 5 rm x', 'deny', 'timeout 5 npm test'],
    ['timeout -k 1 5 whoami', 'ask', 'timeout -k 1 5 ls'],
    ['nice -n 5 rm x', 'deny', 'nice -n 5 npm test'],
    ['xargs rm', 'deny', "sh -c 'ls'"],
    ['sh -c \'$0 "$@"\' rm x', 'deny', "sh -c 'ls -a'"],
    ["bash -c 'eval \"$1\"' x 'rm y'", 'ask', "bash -c 'npm test && ls'"],
    ["env FOO=1 timeout 5 bash -ec 'cd x; rm y'", 'deny', "env FOO=1 timeout 5 bash -ec 'cd x; ls'"],
    ['command rm x', 'deny', 'command ls'],
    ['/bin/rm x', 'deny', '/bin/ls x'],
    ["eval 'rm x'", 'deny', "eval 'ls x'"],
    ['sudo rm x', 'deny', 'npm test'],
    ['busybox rm x', 'deny', 'busybox ls'],
    ['/lib64/ld-linux-x86-64.so.2 /bin/rm x', 'deny', 'ls /lib64'],
    ["trap 'rm x' EXIT; ls", 'deny', 'ls; ls'],
    ['echo rm x | sh', 'ask', 'echo rm x | cat'],
    ["env -S 'rm x'", 'deny', 'env A=b ls'],
    ['xargs env', 'ask', 'env'],
  ]);
});

describe('23: git runs nothing that its flags name', () => {
  hold([
    ["git -c alias.x='!rm y' x", 'deny', 'git log --oneline'],
    ['git -c alias.x=push x', 'deny', 'git status'],
    ['git -c core.sshCommand=whoami fetch', 'ask', 'git -c user.name=a status'],
    ['git -c core.pager=whoami log', 'ask', 'git log -1'],
    ['git diff --output=src/x', 'ask', 'git diff --stat'],
    ['git diff --ext-diff', 'ask', 'git diff --text'],
    ['git clone --upload-p whoami x', 'ask', 'git clone https://h/x'],
    ['git clone -u whoami x', 'ask', 'git clone --depth 1 https://h/x'],
    ['git fetch --upload-pack=rm x', 'deny', 'git fetch origin'],
    ["git clone 'ext::whoami x'", 'ask', 'git clone ssh://h/x'],
    ['git --exec-path=. log', 'ask', 'git -C src log'],
    ['git -C src push', 'deny', 'git -C src status'],
  ]);
});

describe('24: flags that run commands', () => {
  hold([
    ['find . -exec rm {} +', 'deny', 'find . -name x'],
    ['find . -execdir whoami \\;', 'ask', 'find . -type f'],
    ['find . -delete', 'ask', 'find . -empty'],
    ['rg --pre whoami x', 'ask', 'rg --pretty x'],
    ['fd -x rm', 'deny', 'fd -e ts'],
    ['go test -exec whoami ./...', 'ask', 'go test ./...'],
    ['sort --compress-prog=rm x', 'deny', 'sort --reverse x'],
    ['jq -n $ENV', 'ask', 'jq .a x'],
    ["jq -n '$ENV.KEY'", 'ask', "jq '.a | length' x"],
    ["sed '1e rm x' y", 'ask', "sed -n '1,5p' y"],
    ["sed 's/a/rm x/e' y", 'ask', "sed 's/a/b/g' y"],
    ["sed 'w x' y", 'ask', "sed '/a/d' y"],
    ['awk \'BEGIN { system("rm x") }\'', 'deny', "awk '{ print $1 }' x"],
    ['tar cf x --checkpoint-action=exec=rm y', 'deny', 'tar cf x y'],
    ['tar -xf x -I whoami', 'ask', 'tar -xzf x'],
    ["vim -c ':!rm x'", 'ask', 'cat x'],
    ['make SHELL=whoami', 'ask', 'make build'],
    ["python3 -c 'import os'", 'ask', 'python3 build.py'],
    ['npm test > src/x', 'ask', 'npm test > /dev/null'],
  ]);
});

describe('25: variables that change what runs', () => {
  hold([
    ['GIT_SSH_COMMAND=whoami git fetch', 'ask', 'FOO=1 git fetch'],
    ['GIT_CONFIG_COUNT=1 git log', 'ask', 'DEBUG=1 git log'],
    ['npm_config_script_shell=whoami npm test', 'ask', 'NODE_ENV=test npm test'],
    ['NPM_CONFIG_SCRIPT_SHELL=whoami npm test', 'ask', 'CI=1 npm test'],
    ['env PAGER=whoami git log', 'ask', 'env A=b git log'],
    ['export LD_PRELOAD=./x.so; ls', 'ask', 'ls; ls'],
    ['PATH=.:$PATH jq . x', 'ask', 'jq . x'],
    ['./jq . x', 'ask', '/usr/bin/jq . x'],
    ['node_modules/.bin/jq . x', 'ask', 'jq -r . x'],
    ['hash -p ./jq jq; jq . x', 'ask', 'jq -c . x'],
    ["BASH_ENV=x bash -c 'ls'", 'ask', "bash -c 'ls'"],
    ['read PATH < x; ls', 'ask', 'ls'],
  ]);
});
