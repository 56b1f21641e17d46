$ErrorActionPreference = 'Stop'

# For Windows without PowerShell 4.0: nothing newer than PowerShell 2.0 and .NET 2.0 below.

function Write-Line([string]$Text) {
    Write-Host ('{0}  {1}' -f (Get-Date -Format 's'), $Text)
}

$Transcribing = $false
$File = Join-Path -Path $env:temp -ChildPath 'agent.msi'

function Stop-Deployment([int]$Code, [string[]]$Lines) {
    foreach ($line in $Lines) {
        if ($line) { Write-Line $line }
    }
    if (Test-Path -Path $File) {
        Remove-Item -Path $File -Force -ErrorAction SilentlyContinue
    }
    if ($script:Transcribing) {
        Stop-Transcript | Out-Null
    }
    exit $Code
}

function Start-Log {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object -TypeName Security.Principal.WindowsPrincipal -ArgumentList $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Deployment 10 @('This script installs software and must run as an administrator; nothing was done.')
    }
    $script:Logs = Join-Path -Path $env:appdata -ChildPath 'Plimsoll\installer'
    New-Item -Path $script:Logs -ItemType Directory -Force | Out-Null
    try {
        Start-Transcript -Path (Join-Path -Path $script:Logs -ChildPath 'dsa_deploy.log') -Append | Out-Null
        $script:Transcribing = $true
    } catch {
        Write-Line 'There is no transcript here.'
    }
}

function Get-Package {
    $address = "$BaseUrl/$PackageFile"
    Write-Line "Download begins: $address"
    $client = New-Object -TypeName Net.WebClient
    try {
        $client.DownloadFile($address, $File)
    } catch {
        Stop-Deployment 29 @(
            "The download failed: $($_.Exception.Message); nothing was installed.",
            "Is the web server running, and the package there under the name $($PackageFile)? plimsoll software export writes it.")
    }
    Write-Line 'Download ended'
    # The rule of this workaround: an empty file ends it with 1.
    if (-not (Test-Path -Path $File) -or (Get-Item -Path $File).Length -eq 0) {
        Stop-Deployment 1 @("The file at $address is empty; nothing was installed.", 'Put the package there again, and look that it is whole.')
    }
    Write-Line ('Its size: {0} bytes' -f (Get-Item -Path $File).Length)
}

function Test-Package {
    if (-not $Sha256) {
        Write-Line 'WARNING: THE PACKAGE IS NOT CHECKED: whoever made this script left its digest out.'
        return
    }
    $hash = New-Object -TypeName Security.Cryptography.SHA256Managed
    $stream = [IO.File]::OpenRead($File)
    $bytes = $hash.ComputeHash($stream)
    $stream.Close()
    $found = [BitConverter]::ToString($bytes).Replace('-', '').ToLower()
    if ($found -ne $Sha256) {
        Stop-Deployment 31 @(
            'The package is not the one that this script was made for; it was deleted, and nothing was installed.',
            "Its SHA-256 is $found, expected is $Sha256.",
            "This script is for agent $AgentVersion for $Platform. Put that package there, or make a new script.")
    }
    Write-Line 'The package is the one that this script was made for (SHA-256).'
}

function Install-Package {
    $log = Join-Path -Path $script:Logs -ChildPath 'dsa_install.log'
    Write-Line 'Installation begins'
    $arguments = '/i "{0}" /qn /norestart ADDLOCAL=ALL /l*v "{1}"' -f $File, $log
    $installer = Start-Process -FilePath msiexec.exe -ArgumentList $arguments -Wait -PassThru
    Write-Line "Installation ended with exit code $($installer.ExitCode)"
    # 1641 and 3010: installed, and Windows wants to be started anew.
    if (@(0, 1641, 3010) -notcontains $installer.ExitCode) {
        Stop-Deployment 40 @("msiexec could not install the package; $log says why.")
    }
}

function Find-Control {
    foreach ($folder in @('Plimsoll Agent', 'Trend Micro\Deep Security Agent')) {
        foreach ($name in @('dsa_control.exe', 'dsa_control.cmd')) {
            $path = Join-Path -Path (Join-Path -Path $env:ProgramFiles -ChildPath $folder) -ChildPath $name
            if (Test-Path -Path $path) { return $path }
        }
    }
    Stop-Deployment 41 @('The package is installed, but it brought no dsa_control, so this computer was not activated.')
}

function Invoke-Activation {
    if (-not $Token) {
        Write-Line 'Installed. This script activates nothing; do it with: dsa_control -a dsm://MANAGER:4120/ "token:TOKEN"'
        return
    }
    $control = Find-Control
    $words = @('-a', $ActivationUrl)
    if ($Policy) { $words += "policyid:$Policy" }
    if ($Group) { $words += "groupid:$Group" }
    if ($RelayGroup) { $words += "relaygroupid:$RelayGroup" }
    if ($DisplayName) { $words += "displayname:$DisplayName" }
    if ($Relay -eq 'yes') { $words += 'relay:yes' }
    # The token goes in by standard input where the agent reads it there: every user can see a command line.
    $byInput = $AgentVersion -notmatch '^([0-9]|10|11)\.'
    Write-Line "Activation at $ActivationUrl begins"
    $ErrorActionPreference = 'Continue'
    for ($attempt = 1; $attempt -le 5; $attempt++) {
        if ($byInput) { $Token | & $control @words 'token:-' } else { & $control @words "token:$Token" }
        if ($LASTEXITCODE -ne 7) { break }
        Start-Sleep -Seconds 10
    }
    $code = $LASTEXITCODE
    $ErrorActionPreference = 'Stop'
    if ($code -eq 7) {
        Stop-Deployment 51 @("The agent is installed, but $ActivationUrl was not reached, so this computer was not activated.", 'Open the way to that port, then run this script again.')
    }
    if ($code -ne 0) {
        Stop-Deployment 50 @('The agent is installed, but this computer was not activated (above is why).', 'Where the token has expired or is used up, make a new script on the manager and run that.')
    }
    Write-Line 'Activation ended'
}

try {
    Start-Log
    Get-Package
    Test-Package
    Install-Package
    Invoke-Activation
} catch {
    Stop-Deployment 90 @("This script failed: $($_.Exception.Message)")
}
Stop-Deployment 0 @('Done.')
