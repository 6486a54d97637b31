// @ts-check
// What a visitor chose, kept in cookies that the server reads, so that a page comes as it was chosen from its first moment.

const YEAR_S = 365 * 24 * 3600;

/**
 * @param {string} name
 * @param {string} value a plain word
 */
export function remember(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=/; Max-Age=${YEAR_S}; SameSite=Strict${secure}`;
}
