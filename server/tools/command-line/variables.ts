/**
 * Variables that change which program runs, or make one run another: search paths, loaders, pagers, editors,
 * and whatever begins as the settings of a tool do.
 */
const telling = new RegExp(
  `^(?:${[
    'PATH|CDPATH|IFS|ENV|HOME|SHELL|SHELLOPTS|PS[0-4]|PROMPT_COMMAND|GLOBIGNORE|EXECIGNORE|FIGNORE|INPUTRC|HISTFILE|TMPDIR|TMP|TEMP',
    'BASH.*|LD_.*|DYLD_.*|GCONV_PATH|GLIBC_.*|LOCPATH|NLSPATH|MALLOC_.*|TERMINFO.*|TERMCAP|XDG_.*|POSIXLY_CORRECT',
    '.*PAGER|.*EDITOR|VISUAL|BROWSER|.*_ASKPASS|FCEDIT|LESS.*|MAN.*|MORE|EXINIT|VIM.*|NVIM.*|MYVIMRC|EMACS.*',
    'GIT.*|SSH.*|SVN.*|HG.*|CVS.*|RSYNC.*|GPG.*|GNUPG.*|SUDO.*|PARALLEL.*|TAR.*|GZIP|XZ_.*|ZSTD_.*|GREP_.*|RIPGREP.*|FZF.*|JQ.*|G?AWK.*',
    'NPM.*|YARN.*|PNPM.*|BUN.*|DENO.*|COREPACK.*|NODE_(?!ENV$).*|PYTHON.*|PIP.*|UV_.*|POETRY.*|PERL.*|RUBY.*|GEM.*|BUNDLE.*|PHP.*|COMPOSER.*|LUA.*',
    'GO.*|CGO.*|CARGO.*|RUST.*|CC|CXX|CPP|LD|AR|AS|.*FLAGS|MAKE.*|CMAKE.*|NINJA.*|PKG_CONFIG.*|_?JAVA.*|JDK.*|MAVEN.*|GRADLE.*|DOTNET.*',
    '.*_PROXY|CURL.*|WGET.*|OPENSSL.*|SSL.*|DOCKER.*|CONTAINER.*|KUBE.*|HELM.*|AWS.*|AZURE.*|GOOGLE.*|GCLOUD.*',
  ].join('|')})$`,
  'i',
);

export function tellsPrograms(name: string): boolean {
  return telling.test(name);
}
