/** Completion scripts: the commands after `muster serf` (or after a link named `serf`), and the flags of each. */

export interface CompletionEntry {
  readonly name: string;
  readonly synopsis: string;
  /** "-verbose", "-format=" (a value follows). */
  readonly flags: readonly string[];
}

/** What may follow `muster`: personas and the simulator. */
const FIRST_WORDS: readonly (readonly [word: string, synopsis: string])[] = [
  ["serf", "The Serf agent and its commands"],
  ["consul", "The Consul agent"],
  ["sim", "What would a cluster do?"],
];

/** For bash; works without the bash-completion package. */
export function bashCompletion(entries: readonly CompletionEntry[]): string {
  const cases = entries.map(({ name, flags }) => `    ${name}) words="${flags.join(" ")}" ;;`);
  return `# muster: completion for bash. Use: eval "$(muster serf completion bash)"
_muster_serf() {
  local at=1 words="" current="\${COMP_WORDS[COMP_CWORD]}"
  if [ "\${COMP_WORDS[0]##*/}" = muster ]; then
    if [ "$COMP_CWORD" -eq 1 ]; then
      COMPREPLY=($(compgen -W "${FIRST_WORDS.map(([word]) => word).join(" ")}" -- "$current"))
      return
    fi
    [ "\${COMP_WORDS[1]}" = serf ] || return
    at=2
  fi
  if [ "$COMP_CWORD" -eq "$at" ]; then
    COMPREPLY=($(compgen -W "${entries.map(({ name }) => name).join(" ")}" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[at]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ "\${COMPREPLY[0]}" == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _muster_serf muster serf`;
}

export function zshCompletion(entries: readonly CompletionEntry[]): string {
  const commands = entries.map(({ name, synopsis }) => `    ${quote(`${name}:${synopsis}`)}`);
  const cases = entries.map(({ name, flags }) => `    ${name}) flags=(${flags.map(quote).join(" ")}) ;;`);
  return `#compdef muster serf
# muster: completion for zsh. Use: eval "$(muster serf completion zsh)", after compinit
_muster_serf() {
  local at=2
  local -a commands flags
  commands=(
${commands.join("\n")}
  )
  if [[ "\${words[1]:t}" == muster ]]; then
    if (( CURRENT == 2 )); then
      compadd ${FIRST_WORDS.map(([word]) => word).join(" ")}
      return
    fi
    [[ "\${words[2]}" == serf ]] || return
    at=3
  fi
  if (( CURRENT == at )); then
    _describe command commands
    return
  fi
  case "\${words[at]}" in
${cases.join("\n")}
  esac
  compadd -S '' -- "\${(M)flags[@]:#*=}"
  compadd -- "\${flags[@]:#*=}"
}
compdef _muster_serf muster serf`;
}

export function fishCompletion(entries: readonly CompletionEntry[]): string {
  const names = entries.map(({ name }) => name).join(" ");
  const lines = [
    "# muster: completion for fish. Use: muster serf completion fish | source",
    "complete -c muster -f",
    "complete -c serf -f",
    ...FIRST_WORDS.map(([word, synopsis]) => `complete -c muster -n __fish_use_subcommand -a ${word} -d ${quote(synopsis)}`),
  ];
  for (const { name, synopsis } of entries) {
    lines.push(`complete -c muster -n '__fish_seen_subcommand_from serf; and not __fish_seen_subcommand_from ${names}' -a ${name} -d ${quote(synopsis)}`);
    lines.push(`complete -c serf -n __fish_use_subcommand -a ${name} -d ${quote(synopsis)}`);
  }
  for (const { name, flags } of entries) {
    for (const flag of flags) {
      const value = flag.endsWith("=") ? " -r" : "";
      const option = flag.replace(/^-/, "").replace(/=$/, "");
      for (const program of ["muster", "serf"]) lines.push(`complete -c ${program} -n '__fish_seen_subcommand_from ${name}' -o ${option}${value}`);
    }
  }
  return lines.join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
