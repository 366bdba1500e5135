"""The gateway: moves research data across the border and governs them; see ARCHITECTURE.md beside this file."""
