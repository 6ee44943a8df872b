"""How the languages of the admin write dates, where Django's way is not ours."""
