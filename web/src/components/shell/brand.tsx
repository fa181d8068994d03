export function BrandMark({ className = 'size-[18px]' }: { className?: string }) {
  return (
    <svg viewBox="0 0 20 20" className={className} aria-hidden="true">
      <circle cx="10" cy="10" r="3" fill="currentColor" />
      <path
        d="M10 1.5a8.5 8.5 0 0 1 8.5 8.5M10 18.5A8.5 8.5 0 0 1 1.5 10"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.8"
        strokeLinecap="round"
      />
    </svg>
  );
}
