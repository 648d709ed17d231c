/** Refer key `registryPriority`: `new > old`, or `a, b > c` where a and b are equal. */

/** Place of each registry: 0 is the best. Registries that are not named come after all that are; without the key all are equal. */
export function priorityOf(text: string): (registryId: string) => number {
  const levels = priorityLevels(text);
  return (id) => {
    const level = levels.findIndex((ids) => ids.includes(id));
    return level < 0 ? levels.length : level;
  };
}

export function priorityLevels(text: string): readonly (readonly string[])[] {
  return text
    .split('>')
    .map((level) =>
      level
        .split(',')
        .map((id) => id.trim())
        .filter((id) => id !== ''),
    )
    .filter((ids) => ids.length > 0);
}
