// @ts-check
// What every page runs: what makes its parts live, in one place. Imports only; each noun has a file of its own.
import "./copy.js";
import "./dialogs.js";
import "./keyboard.js";
import "./navigation.js";
import "./theme.js";
import "./times.js";
import "./toasts.js";
