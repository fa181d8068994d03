import { useEffect, useState } from 'react';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];
const stored = 'mission.theme';
const changed = 'mission:theme';

/** The theme that was chosen on this machine, and how to choose another. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(readTheme);
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const apply = () => {
      const chosen = readTheme();
      setTheme(chosen);
      document.documentElement.dataset.theme =
        chosen === 'dark' || (chosen === 'system' && dark.matches) ? 'dark' : 'light';
    };
    apply();
    dark.addEventListener('change', apply);
    addEventListener(changed, apply);
    return () => {
      dark.removeEventListener('change', apply);
      removeEventListener(changed, apply);
    };
  }, []);
  return [theme, chooseTheme];
}

function readTheme(): Theme {
  const value = localStorage.getItem(stored);
  return themes.find((theme) => theme === value) ?? 'system';
}

function chooseTheme(theme: Theme): void {
  if (theme === 'system') localStorage.removeItem(stored);
  else localStorage.setItem(stored, theme);
  dispatchEvent(new Event(changed));
}
