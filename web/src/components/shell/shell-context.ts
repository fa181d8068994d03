import { createContext, useContext } from 'react';

/** What pages need of what stands around them. */
export interface ShellState {
  needs: number;
  isHalted: boolean;
  openPalette: () => void;
  openHalt: () => void;
}

export const ShellContext = createContext<ShellState>({
  needs: 0,
  isHalted: false,
  openPalette: () => undefined,
  openHalt: () => undefined,
});

export function useShell(): ShellState {
  return useContext(ShellContext);
}
