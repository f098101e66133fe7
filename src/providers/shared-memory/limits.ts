/** Largest message in bytes: SO_MAX_MSG_SIZE. A sixteenth of the ring, so that no message has to wait for an empty one. */
export const MESSAGE_SIZE_MAX = 131072;
