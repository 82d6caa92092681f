"""What happens under crowds, kills and locks; on a real server, in processes of their own."""
