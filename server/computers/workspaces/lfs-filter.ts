/** Inside the sandbox: the content of Git LFS files by their id, as git-lfs lays it out. */
export const lfsTarget = '/lfs';

/** What git stores in the place of a file: its id, and the content goes beside the repository. */
const clean = `t=$(mktemp) || exit 1
trap 'rm -f "$t"' EXIT
cat > "$t"
if [ ! -s "$t" ]; then exit 0; fi
if head -c 60 "$t" | head -n 1 | grep -qxF 'version https://git-lfs.github.com/spec/v1'; then cat "$t"; exit; fi
o=$(sha256sum < "$t"); o=\${o%% *}
p=$(echo "$o" | cut -c1-2)/$(echo "$o" | cut -c3-4)
if [ ! -f "${lfsTarget}/$p/$o" ]; then
  d=$(git rev-parse --git-common-dir)/lfs/objects/$p
  mkdir -p "$d" 2> /dev/null && cp "$t" "$d/.$$" && mv "$d/.$$" "$d/$o"
fi
echo 'version https://git-lfs.github.com/spec/v1'
echo "oid sha256:$o"
echo "size $(stat -c %s "$t")"`.replaceAll('%', '%%');

/** The content in the place of an id; where it is nowhere to be had, the id itself. */
const smudge = `t=$(mktemp) || exit 1
trap 'rm -f "$t"' EXIT
cat > "$t"
o=$(head -c 1024 "$t" | sed -n 's/^oid sha256:\\([0-9a-f]\\{64\\}\\)$/\\1/p' | head -n 1)
p=$(echo "$o" | cut -c1-2)/$(echo "$o" | cut -c3-4)
for d in ${lfsTarget} "$(git rev-parse --git-common-dir)/lfs/objects"; do
  if [ -n "$o" ] && [ -f "$d/$p/$o" ]; then cat "$d/$p/$o"; exit; fi
done
cat "$t"`;

/** A section of git's configuration: Git LFS without git-lfs, and without a network. */
export const lfsConfig = `[filter "lfs"]
	clean = ${quote(clean)}
	smudge = ${quote(smudge)}
	required = true
`;

function quote(script: string): string {
  return `"${script.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
