// @ts-check
// Amounts as people read them, in the same words as amounts.py.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** @param {number} bytes */
export function formatBytes(bytes) {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${value.toFixed(0)} B`;
  const digits = Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** @param {number} bytesPerSecond */
export function formatRate(bytesPerSecond) {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** @param {number} count */
export function formatWhole(count) {
  return Math.round(count).toLocaleString("en-US");
}

/** @param {number} seconds */
export function formatDuration(seconds) {
  if (seconds < 1) return `${(Math.max(seconds, 0) * 1000).toFixed(0)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const total = Math.round(seconds);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const minutes = Math.floor(total / 60);
  const hours = Math.floor(total / 3600);
  const days = Math.floor(total / 86400);
  if (minutes < 60) return `${minutes} min ${two(total % 60)} s`;
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return `${days} d ${two(hours % 24)} h`;
}
