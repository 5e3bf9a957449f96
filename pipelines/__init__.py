"""What the platform is for: jobs and workflows, each in a folder of its own, run from the workbench image."""
