/** Lies in the memory of victims, and is to be found nowhere else. */
export const secret = Buffer.from(['what', 'only', 'the', 'victim', 'knows'].join('-'));
