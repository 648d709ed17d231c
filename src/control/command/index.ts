/** The commands that registries tell. */
export { CommandDesk, type CommandDeskDeps, type CommandInterest } from './command-desk.js';
