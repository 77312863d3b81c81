"""What is measured while it runs: stages, process, board. Nothing here touches a frame."""
