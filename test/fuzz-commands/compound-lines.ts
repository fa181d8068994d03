import fc from 'fast-check';
import { form, type Line, quote, spelt } from './line-parts.ts';

/** Compound commands around lines. */
export function blocks(line: Line, simple: Line, words: Line): Line {
  return fc.oneof(
    form((a, b) => `if ${a}; then ${b}; fi`, line, line),
    form((a, b) => `if ${a}\nthen ${b}\nelse ${a}\nfi`, simple, line),
    form((a) => `for i in 1 2; do ${a}; done`, line),
    form((a, b) => `for i in ${a} ${b}; do $i; done`, spelt, spelt),
    form((a) => `for ((i=0; i<2; i++)); do ${a}; done`, line),
    form((a, b) => `while ${a}; do ${b}; break; done`, line, line),
    form((a, b) => `case x in x) ${a} ;; *) ${b} ;; esac`, line, line),
    form((a, b) => `case $(${a}) in *) ${b};& y) ${a} ;; esac`, simple, line),
    form((a, b) => `f() { ${a}; }; f${b}`, line, words),
    form((a) => `function g { ${a}; }; g`, line),
    form((a) => `function h() ( ${a} ); h`, line),
    form((a) => `( ${a} )`, line),
    form((a) => `{ ${a}; }`, line),
    form((a) => `select i in x; do ${a}; break; done <<< 1`, line),
    form((a, b) => `until ${a}; do ${b}; break; done`, simple, line),
    form((a, b) => `${a} | while read l; do ${b}; done`, simple, line),
    form((a, b) => `if ! ${a}; then ${b}; elif ${a}; then ${a}; fi`, simple, line),
    form((a, b) => `[[ a =~ $(${a}) ]] || ${b}`, simple, line),
    form((a, b) => `case a in $(${a})) ${b};; (*) ${b}; esac`, simple, line),
    form((a) => `coproc X { ${a}; }`, line),
    form((a) => `time { ${a}; }`, line),
    form((a) => `arr=([0]=$(${a}) [1]=b)`, simple),
    form((a) => `declare z=$(${a}) y="$(${a})"`, simple),
    form((a) => `export z="$(${a})"`, simple),
    form((a) => `((i = $(${a}), 1))`, simple),
    form((a, b) => `: $(( $(${a}) ? $(${b}) : 0 ))`, simple, simple),
    form((a, b) => `f () if true; then ${a}; fi; f; ${b}`, line, simple),
    form((a, b) => `{ ${a}; } 2>&1 | ( ${b} )`, line, line),
    form((a) => `{ ${a}; } > $(p4)`, line),
    form((a) => `[[ -n $(${a}) && x == y ]]`, simple),
    form((a, b) => `((x=$(${a}))) || ${b}`, simple, line),
    form((a, b) => `trap ${quote(a)} EXIT; ${b}`, line, simple),
    form((a) => `a=($(${a}) b)`, line),
    form((a) => `a[$(${a})]=1`, simple),
  );
}

/** Words in which commands stand. */
export function substitutions(line: Line, simple: Line): Line {
  return fc.oneof(
    form((a) => `$(${a})`, line),
    form((a) => `\`${a.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('$', '\\$')}\``, simple),
    form((a) => `"$( ${a} )"`, line),
    form((a) => `<(${a})`, line),
    form((a) => `>(${a})`, line),
    form((a) => `\${x:-$(${a})}`, simple),
    form((a) => `"\${x:=\`${a}\`}"`, simple),
    form((a) => `\${x/$(${a})/y}`, simple),
    form((a) => `$(( 1 + $(${a}) ))`, simple),
    form((a) => `\${x:$(${a}):1}`, simple),
    form((a) => `\${a[$(${a})]}`, simple),
    form((a) => `$(<in; ${a})`, simple),
    form((a) => `"a\`${a}\`b$(${a})"`, simple),
    form((a) => `{a,$(${a})}`, simple),
    form((a) => `?($(${a}))`, simple),
    form((a) => `$(case x in x) ${a};; esac)`, line),
    form((a) => `$( # it's ) a comment\n${a})`, line),
    form((a) => `"\${x:-"$(${a})"}"`, simple),
    form((a) => `\${x//a/$(${a})}`, simple),
    form((a) => `"\${x#"\${y:-$(${a})}"}"`, simple),
    form((a, b) => `$(${a} <<E\n$(${b})\nE\n)`, simple, simple),
    form((a, b) => `<(${a} <(${b}))`, simple, simple),
    form((a) => `"a'$(${a})'b"`, simple),
    form((a) => `$((1+\`${a}\`))`, simple),
    form((a) => `"$( echo ")" ; ${a} )"`, line),
    form((a) => `$( (${a}) )`, line),
    form((a) => `$((${a}) )`, simple),
    form((a) => `$'x'"$(${a})"`, simple),
  );
}

/** Here-documents, here-strings and comments. */
export function documents(simple: Line): Line {
  return fc.oneof(
    form((a, b) => `${a} <<E\n$(${b})\nE`, simple, simple),
    form((a, b) => `${a} <<'E'\n$(${b})\nE`, simple, simple),
    form((a, b) => `${a} <<-E\n\t\`${b}\`\n\tE\n${b}`, simple, simple),
    form((a, b) => `${a} <<< "$(${b})"`, simple, simple),
    form((a, b) => `${a} <<A <<B\n$(${b})\nA\nx\nB`, simple, simple),
    form((a, b) => `${a} # $(${b})`, simple, simple),
    form((a, b) => `${a} # '\n${b} # '`, simple, simple),
  );
}
