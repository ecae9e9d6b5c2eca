"""Operations that travel together: who waits for whom, and what becomes of each."""
