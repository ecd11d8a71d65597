/** What the dashboard says is wrong: what the processes found, and the alerts that fire. What both know is one line. */

/**
 * @typedef {{level: "bad" | "note", text: string, chart?: string, measure?: string, process?: string}} Problem
 * @typedef {{message: string, rule?: string, severity: string, measure?: string, where?: string}} Alert
 * @param {Problem[]} found @param {Iterable<Alert>} alerts @returns {Problem[]} the worst first
 */
export function problemsWith(found, alerts) {
  const problems = found.map((problem) => ({ ...problem }));
  for (const { message, rule, severity, measure, where } of alerts) {
    const level = severity === "info" ? "note" : "bad";
    const same = measure && problems.filter((problem) => problem.measure === measure && (!where || problem.process === where));
    if (!same?.length) {
      problems.push({ level, text: `Alert: ${message}` });
      continue;
    }
    same[0].text += ` (alert: ${rule})`;
    for (const problem of same) if (level === "bad") problem.level = level;
  }
  return problems.sort((a, b) => a.level.localeCompare(b.level));
}
