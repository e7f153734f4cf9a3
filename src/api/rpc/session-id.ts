import { uuidProblem } from "../../catalog/uuid.ts";

/** Why a session id cannot be looked up, in the original's words; null when it can. */
export function sessionIdError(id: string): string | null {
  const problem = uuidProblem(id);
  return problem === null ? null : `failed session lookup: ${problem}`;
}
