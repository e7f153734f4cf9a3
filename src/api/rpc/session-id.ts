/** Why a session id cannot be looked up, in the original's words; null when it can. */
export function sessionIdError(id: string): string | null {
  if (id.length !== UUID_LENGTH) return `failed session lookup: index error: UUID must be ${UUID_LENGTH} characters`;
  if (UUID.test(id)) return null;
  return `failed session lookup: index error: Invalid UUID ${JSON.stringify(id)}: expects 8-4-4-4-12 hexadecimal digits`;
}

const UUID_LENGTH = 36;
const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;
