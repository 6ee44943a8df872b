from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0051_sign_in_machines'),
    ]

    operations = [
        migrations.AddField(
            model_name='safeguardverdict',
            name='reason',
            field=models.CharField(blank=True, db_default='', default='', max_length=500, verbose_name='reason of the block'),
        ),
        migrations.AlterField(
            model_name='safeguardrule',
            name='command',
            field=models.CharField(blank=True, default='', help_text='Words: npm test is this very command, npm test * also with further words, but no options that run other programs or write files. A rule that denies or leaves undecided fits wherever these words stand in a command.', max_length=500, verbose_name='command'),
        ),
    ]
