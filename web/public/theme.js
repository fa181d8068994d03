// Before the first paint, so that a chosen theme never flashes as the other one.
(() => {
  const chosen = localStorage.getItem('mission.theme');
  const dark =
    chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
